#!/bin/sh
# The whole pipeline at embedded size: scenes, five stages, evaluation. Resumable: give the same
# command again and every step goes on where it was stopped.
#
#   training/run_all.sh RUNS
#
# RUNS takes scenes (some gigabytes) and every stage's model. Settings, by environment:
#   ASSETS, PANORAMAS   folders for the renderer (see training/synthetic/render.py); both optional
#   SCENES              scenes of each training set (20000)
#   PROCESSES           processes that render and learn (number of cores)
set -eu
runs=${1:?usage: training/run_all.sh RUNS}
scenes=${SCENES:-20000}
processes=${PROCESSES:-$(nproc)}
cd "$(dirname "$0")/.."

render() { # folder, number of scenes, seed
    python -m training.synthetic.render "$runs/scenes/$1" --scenes "$2" --seed "$3" --split train \
        ${ASSETS:+--assets "$ASSETS"} ${PANORAMAS:+--panoramas "$PANORAMAS"} --workers "$processes"
}

stage() { # module, recipe, more options
    module=$1 recipe=$2
    shift 2
    python -m torch.distributed.run --nproc_per_node "$processes" -m "training.$module" \
        --config "config/training/$recipe.yaml" --validation "$runs/scenes/watched" \
        --threads 1 "$@"
}

render described "$scenes" 1 # for stage 0 and rehearsal
render weak "$scenes" 2      # in the role of weakly labelled photographs
render task "$scenes" 3      # in the role of exactly labelled task data
render watched 500 7

stage base_grounding embedded_base --data "[$runs/scenes/described]" --out "$runs/base"
stage stage1_pretrain embedded_stage1 --data "[$runs/scenes/weak]" --base "$runs/base/model" \
    --rehearsal "[$runs/scenes/described]" --out "$runs/stage1"
stage stage2_finetune embedded_stage2 --data "[$runs/scenes/task]" --base "$runs/stage1/model" \
    --out "$runs/stage2"
[ -d "$runs/stage3" ] || python -m training.stage3_merge \
    --config config/training/embedded_stage3_merge.yaml \
    --original "$runs/stage1/model" --tuned "$runs/stage2/model" --out "$runs/stage3"
stage stage4_rehearse embedded_stage4 --data "[$runs/scenes/task]" --base "$runs/stage3" \
    --rehearsal "[$runs/scenes/described]" --out "$runs/stage4"
python -m training.stage5_evaluate --model "$runs/stage4/model"
