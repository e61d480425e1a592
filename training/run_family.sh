#!/bin/sh
# The paper's pipeline on a model of another family than CogVLM: from a published checkpoint and
# labelled pictures to a model folder that the node takes. Resumable: give the same command again.
#
#   training/run_family.sh MODEL DATA RUNS
#
# MODEL is a folder such as Qwen3-VL-2B-Instruct (docs/families.md). DATA is as for
# training/run_full_size.sh: folders weak, task, rehearsal, validation and test with labels.jsonl.
# RUNS takes adapters, and four copies of the model. Settings, by environment:
#   RECIPE         of config/training (qwen3_vl_2b), for all learning stages
#   STEPS          of stages 1, 2 and 4 ("10000 25000 5000", the paper's)
#   LAUNCH         what starts a learning stage (python), such as "torchrun --nproc_per_node 2"
#   STAGE_OPTIONS  more options of every learning stage, such as --quantization int4
#   MERGE_OPTIONS  of stage 3 (--options.threshold 0.95)
#   SCORE_OPTIONS  more options of stage 5, such as --limit=50
# Before it learns, each stage says what it needs of memory and time.
set -eu
usage="usage: training/run_family.sh MODEL DATA RUNS"
checkpoint=$(cd "${1:?$usage}" && pwd)
data=$(cd "${2:?$usage}" && pwd)
mkdir -p "${3:?$usage}"
runs=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."
recipe=config/training/${RECIPE:-qwen3_vl_2b}.yaml
# shellcheck disable=SC2086  # numbers of steps are several words
set -- ${STEPS:-10000 25000 5000}

stage() { # module, steps, model to start from, folder of data, more options: leaves an adapter
    module=$1 steps=$2 base=$3 learnt=$4
    shift 4
    # shellcheck disable=SC2086  # commands and options are several words
    ${LAUNCH:-python} -m "training.$module" --config "$recipe" --schedule.steps "$steps" \
        --base "$base" --data "[$data/$learnt]" --validation "$data/validation" "$@" \
        ${STAGE_OPTIONS:-}
}

fold() { # model, adapter to it, folder of the whole model
    [ -d "$3" ] || python -m training.stage3_merge --method lora_folding --original "$1" \
        --tuned "$2" --out "$3"
}

stage stage1_pretrain "$1" "$checkpoint" weak --rehearsal "[$data/rehearsal]" --out "$runs/stage1"
fold "$checkpoint" "$runs/stage1/model" "$runs/weak"
stage stage2_finetune "$2" "$runs/weak" task --data_options.packing.detection false --out "$runs/stage2"
fold "$runs/weak" "$runs/stage2/model" "$runs/oriented"
# shellcheck disable=SC2086
[ -d "$runs/merged" ] || python -m training.stage3_merge --method winner_takes_all \
    ${MERGE_OPTIONS:---options.threshold 0.95} --original "$runs/weak" \
    --tuned "$runs/oriented" --out "$runs/merged"
stage stage4_rehearse "$3" "$runs/merged" task --data_options.packing.detection false \
    --rehearsal "[$data/rehearsal]" --out "$runs/stage4"
fold "$runs/merged" "$runs/stage4/model" "$runs/shipped"
# shellcheck disable=SC2086
python -m training.stage5_evaluate --model "$runs/shipped" --base "$checkpoint" \
    --data "$data/test" --out "$runs/scored" ${SCORE_OPTIONS:-}
