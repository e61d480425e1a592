#!/bin/sh
# The runs behind the reproduction report, after training/run_all.sh: what the paper's tables vary,
# each run short, and the baselines. Their results are kept in training/results, from which
# `python -m training.reproduce` writes docs/reproduction.md. Resumable; finished rows are skipped.
#
#   training/run_tables.sh RUNS
#
# Settings, by environment, beside those of run_all.sh:
#   STEPS   steps of every varied stage (400); the same for all rows of a table
#   HEADS   heads that a network on crops sees (200000)
set -eu
runs=${1:?usage: training/run_tables.sh RUNS, of training/run_all.sh}
runs=$(cd "$runs" && pwd)
steps=${STEPS:-400}
heads=${HEADS:-200000}
processes=${PROCESSES:-$(nproc)}
cd "$(dirname "$0")/.."
. training/stages.sh
tables=$runs/tables
mkdir -p "$tables" training/results

keep() { # name of the result, model, what it was trained on
    [ -f "training/results/$1.json" ] ||
        score "$2" "$tables/$1/scored" --keep "training/results/$1.json" --note "$3"
}

baseline() { # module, name of the result, more options
    module=$1 name=$2
    shift 2
    [ -f "training/results/$name.json" ] || python -m "training.baselines.$module" \
        --data "[$runs/scenes/task]" --validation "$runs/scenes/watched" \
        --out "$tables/$name" --keep "training/results/$name.json" "$@"
}

keep base_grounding "$runs/base/model" "stage 0"
keep stage2 "$runs/stage2/model" "stages 0 to 2"
keep stage4 "$runs/stage4/model" "all stages"
cp "$runs/stage3/merge.json" training/results/

# Table III
baseline sixdrepnet sixdrepnet --budget.samples "$heads"
baseline frozen_model frozen_visual --model "$runs/base/model" --tokens visual
baseline frozen_model frozen_all --model "$runs/base/model" --tokens all
baseline vision_tower vision_tower --model "$runs/base/model"
places="--data [$runs/scenes/task] --rehearsal [$runs/scenes/described]"
places="$places --validation $runs/scenes/watched"
# shellcheck disable=SC2086
python -m training.baselines.task_arithmetic --original "$runs/stage1/model" \
    --tuned "$runs/stage2/model" --out "$tables/task_arithmetic" $places
keep task_arithmetic "$tables/task_arithmetic/model" "as stage 4, after another merge"
# shellcheck disable=SC2086
python -m training.baselines.non_merging --base "$runs/stage1/model" \
    --out "$tables/non_merging" $places
keep non_merging "$tables/non_merging/model" "stages 0, 1 and a longer 4"

# Table IV: poses alone, from the grounding model
keep forgetting_0 "$runs/base/model" "stage 0"
for count in 100 500 1000; do
    stage stage2_finetune embedded_stage2 --data "[$runs/scenes/task]" \
        --base "$runs/base/model" --out "$tables/forgetting_$count" --schedule.steps "$count"
    keep "forgetting_$count" "$tables/forgetting_$count/model" "$count steps on poses alone"
done

# Table V: how much of stage 0 is rehearsed in stage 1
for percent in 0 1 10 25; do
    stage stage1_pretrain embedded_stage1 --data "[$runs/scenes/weak]" --base "$runs/base/model" \
        --rehearsal "[$runs/scenes/described]" --rehearsal_ratio "$(printf 0.%02d "$percent")" \
        --out "$tables/rehearsal_$percent" --schedule.steps "$steps"
    keep "rehearsal_$percent" "$tables/rehearsal_$percent/model" "$steps steps"
done

# Table VI and Figure 4: how much stays original, how much is rehearsed in stage 4
for percent in 0 8 16 32; do
    merge "$tables/merge_$percent" --options.keep "$(printf 0.%02d "$percent")"
    rehearse "$tables/merge_$percent" "$tables/keep_$percent" --schedule.steps "$steps"
    keep "keep_$percent" "$tables/keep_$percent/model" "$steps steps of stage 4"
done
for percent in 10 25; do
    rehearse "$runs/stage3" "$tables/stage4_$percent" --rehearsal_ratio "0.$percent" \
        --schedule.steps "$steps"
    keep "stage4_$percent" "$tables/stage4_$percent/model" "$steps steps of stage 4"
done
python -m training.reproduce --model "$runs/stage4/model"
