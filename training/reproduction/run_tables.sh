#!/bin/sh
# The runs behind the reproduction report, after training/run_all.sh: what the paper's tables vary,
# each run short, and the baselines. Their results are kept in training/reproduction/results, from which
# `python -m training.reproduction.report` writes docs/reproduction.md. Resumable; finished rows are skipped.
#
#   training/reproduction/run_tables.sh RUNS
#
# RUNS needs scenes/{described,weak,task,validation}, base, decoder, stage2, stage3 and stage4, as
# run_all.sh leaves them. Settings, by environment, beside PROCESSES, BATCH and STAGE_OPTIONS:
#   TABLES      which, in this order (III VII IV V VI)
#   STEPS       steps of every varied stage of tables V and VI (400)
#   ITERATIONS  steps after which forgetting is measured, table IV (100 500 1000, as in the paper)
#   HEADS       heads that 6DRepNet sees (200000); FROZEN heads that regressors learn from (20000)
#   LIMIT       scenes that every row is scored on (all 2400)
#   VARIANTS    of them, scenes asked about in every output format and wording (300)
#   NOTE        what the models in base and decoder were trained on, if not by run_all.sh
set -eu
runs=${1:?usage: training/reproduction/run_tables.sh RUNS, of training/run_all.sh}
runs=$(cd "$runs" && pwd)
steps=${STEPS:-400}
processes=${PROCESSES:-$(nproc)}
cd "$(dirname "$0")/../.."
. training/stages.sh
tables=$runs/tables
results=training/reproduction/results
mkdir -p "$tables" "$results"

length() { # stage: steps that it learnt for
    sed -n 's/^{"step": \([0-9]*\),.*/\1/p' "$runs/$1/log.jsonl" | tail -n 1
}
long2=$(length stage2)
long4=$(length stage4)
pictures="steps of $batch pictures"
base=${NOTE:-stage 0: $(length base) $pictures}
first=${NOTE:-$base; stage 1: $(length stage1) and $(length decoder)}
second="$first; stage 2: $long2 $pictures"

keep() { # name of the result, model, what it was trained on, scenes asked in every way
    [ -f "$results/$1.json" ] || score "$2" "$tables/$1/scored" ${LIMIT:+--limit "$LIMIT"} \
        --variants "${4:-0}" --note "$3" --keep "$results/$1.json" \
        --counted_at 224 # as baselines/heads.py does
}

baseline() { # module, name of the result, more options
    module=$1 name=$2
    shift 2
    [ -f "$results/$name.json" ] || python -m "training.reproduction.baselines.$module" \
        --data "[$runs/scenes/task]" --validation "$runs/scenes/validation" --threads "$processes" \
        --out "$tables/$name" --keep "$results/$name.json" ${LIMIT:+--limit "$LIMIT"} "$@"
}

staged() { # module and name of the result, steps, more options: a baseline that is stages
    module=$1
    more=\"--threads=$processes\",\"--data_options.batch_size=$batch\",\"--schedule.steps=$2\"
    for option in ${STAGE_OPTIONS:-}; do more=$more,\"$option\"; done
    shift 2
    [ -f "$results/$module.json" ] || python -m "training.reproduction.baselines.$module" \
        --data "[$runs/scenes/task]" --rehearsal "[$runs/scenes/described]" \
        --validation "$runs/scenes/validation" --out "$tables/$module" --more "[$more]" "$@"
}

table_III() {
    keep base_grounding "$runs/base/model" "$base"
    keep stage2 "$runs/stage2/model" "$second"
    keep stage4 "$runs/stage4/model" "$second; stage 4: $long4" "${VARIANTS:-300}"
    cp "$runs/stage3/merge.json" "$results/"
    baseline vision_tower vision_tower --model "$runs/base/model" --heads "${FROZEN:-20000}"
    for tokens in visual all; do
        baseline frozen_model "frozen_$tokens" --model "$runs/base/model" --tokens "$tokens" \
            --heads "${FROZEN:-20000}"
    done
    staged task_arithmetic "$long4" --original "$runs/decoder/model" --tuned "$runs/stage2/model"
    keep task_arithmetic "$tables/task_arithmetic/model" \
        "$second; another merge; stage 4: $long4" "${VARIANTS:-300}"
    staged non_merging "$((long2 + long4))" --base "$runs/decoder/model"
    keep non_merging "$tables/non_merging/model" \
        "$first; no merge; stage 4: $((long2 + long4)) $pictures"
}

table_IV() { # one run on poses alone, scored on its way; the rate stays, so that it is one run
    keep forgetting_0 "$runs/base/model" "$base" # its own: table III may get another base
    for count in ${ITERATIONS:-100 500 1000}; do
        [ -f "$results/forgetting_$count.json" ] || stage stage2_finetune embedded_stage2 \
            --data "[$runs/scenes/task]" --base "$runs/base/model" --out "$tables/forgetting" \
            --schedule.cooldown 0 --schedule.steps "$count"
        keep "forgetting_$count" "$tables/forgetting/model" \
            "$base; then poses alone: $count $pictures"
    done
}

table_V() { # how much of stage 0 is rehearsed in stage 1
    for percent in 0 1 10 25; do
        [ -f "$results/rehearsal_$percent.json" ] || stage stage1_pretrain embedded_stage1 \
            --data "[$runs/scenes/weak]" --base "$runs/base/model" \
            --rehearsal "[$runs/scenes/described]" --out "$tables/rehearsal_$percent" \
            --rehearsal_ratio "$(printf 0.%02d "$percent")" --schedule.steps "$steps"
        keep "rehearsal_$percent" "$tables/rehearsal_$percent/model" \
            "$base; stage 1: $steps $pictures"
    done
}

varied() { # name of the result, merged model, more options: stage 4 of a length that rows share
    name=$1 merged=$2
    shift 2
    [ -f "$results/$name.json" ] || rehearse "$merged" "$tables/$name" "$@" \
        --schedule.steps "$steps"
    keep "$name" "$tables/$name/model" "$second; stage 4: $steps $pictures"
}

table_VI() { # how much stays original; and Figure 4, how much is rehearsed in stage 4
    for percent in 0 8 16 32; do
        merge "$tables/merge_$percent" --options.keep "$(printf 0.%02d "$percent")"
        varied "keep_$percent" "$tables/merge_$percent"
    done
    varied stage4_10 "$runs/stage3" --rehearsal_ratio 0.10
    varied stage4_25 "$runs/stage3" --rehearsal_ratio 0.25
}

table_VII() {
    baseline sixdrepnet sixdrepnet --budget.samples "${HEADS:-200000}"
}

for table in ${TABLES:-III VII IV V VI}; do
    "table_$table"
done
python -m training.reproduction.report --model "$runs/stage4/model"
