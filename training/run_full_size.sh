#!/bin/sh
# The paper's pipeline at full size: from the public CogVLM-17B checkpoint and the real data sets to
# a model folder that the node takes. Resumable: give the same command again and every step goes on
# where it was stopped. On two GPUs of 80 GB; the paper's stages took 20, 50 and 10 hours there.
#
#   training/run_full_size.sh CHECKPOINT DATA RUNS
#
# CHECKPOINT is cogvlm-grounding-generalist-hf with a tokenizer (docs/full_size.md). DATA holds a
# folder with labels.jsonl for each role, as docs/data.md says how to make them:
#   weak        CrowdHuman with pseudo-labels
#   task        AGORA, to train on
#   rehearsal   RefCOCO, RefCOCO+ and RefCOCOg
#   validation  AGORA, never learnt
#   test        CMU Panoptic: is scored on
#   refcoco, refcoco+, refcocog (if there)  their public test parts: are scored on, for Table III
# RUNS takes some 180 GB: adapters, and every model that a stage starts from. Settings, by
# environment:
#   LAUNCH         what starts a learning stage ("accelerate launch --config_file
#                  config/accelerate/two_gpus_80gb.yaml")
#   STAGE_OPTIONS  more options of every learning stage, such as --schedule.steps=20
#   SCORE_OPTIONS  more options of stage 5, such as --limit=50
set -eu
usage="usage: training/run_full_size.sh CHECKPOINT DATA RUNS"
checkpoint=$(cd "${1:?$usage}" && pwd)
data=$(cd "${2:?$usage}" && pwd)
mkdir -p "${3:?$usage}"
runs=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."
launch=${LAUNCH:-accelerate launch --config_file config/accelerate/two_gpus_80gb.yaml}

stage() { # module, recipe, model to start from, folder of data, more options: leaves an adapter
    module=$1 recipe=$2 base=$3 learnt=$4
    shift 4
    # shellcheck disable=SC2086  # commands and options are several words
    $launch -m "training.$module" --config "config/training/$recipe.yaml" --base "$base" \
        --data "[$data/$learnt]" --validation "$data/validation" "$@" ${STAGE_OPTIONS:-}
}

fold() { # model, adapter to it, folder of the whole model
    [ -d "$3" ] || python -m training.stage3_merge --method lora_folding --original "$1" \
        --tuned "$2" --out "$3"
}

stage stage1_pretrain cogvlm17b_stage1 "$checkpoint" weak \
    --rehearsal "[$data/rehearsal]" --out "$runs/stage1"
fold "$checkpoint" "$runs/stage1/model" "$runs/weak"
stage stage2_finetune cogvlm17b_stage2 "$runs/weak" task --out "$runs/stage2"
fold "$runs/weak" "$runs/stage2/model" "$runs/oriented"
[ -d "$runs/merged" ] || python -m training.stage3_merge \
    --config config/training/cogvlm17b_stage3_merge.yaml \
    --original "$checkpoint" --tuned "$runs/oriented" --out "$runs/merged"
stage stage4_rehearse cogvlm17b_stage4 "$runs/merged" task \
    --rehearsal "[$data/rehearsal]" --out "$runs/stage4"
fold "$runs/merged" "$runs/stage4/model" "$runs/shipped"
references=
for name in refcoco refcoco+ refcocog; do
    [ ! -d "$data/$name" ] || references=$references${references:+, }$data/$name
done
# shellcheck disable=SC2086
python -m training.stage5_evaluate --model "$runs/shipped" --base "$checkpoint" \
    --data "$data/test" --references "[$references]" --out "$runs/scored" ${SCORE_OPTIONS:-}
