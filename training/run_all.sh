#!/bin/sh
# The whole pipeline at embedded size, from nothing to a model folder to ship: scenes, five stages,
# export, calibration, evaluation. No GPU is needed. Resumable: give the same command again and
# every step goes on where it was stopped.
#
#   training/run_all.sh RUNS
#
# RUNS takes scenes (some gigabytes) and every stage's model; RUNS/shipped is what models/embedded
# is. Settings, by environment:
#   ASSETS, PANORAMAS   folders for the renderer (see training/synthetic/render.py); both optional
#   SCENES              scenes of each training set (20000)
#   PROCESSES           processes that render, learn and answer (number of cores)
#   BATCH               pictures a step (16)
#   BASE_OPTIONS        more options of stage 0, such as --image_size=64
#   STAGE_OPTIONS       more options of every learning stage, such as --schedule.steps=20
#   SCORE_OPTIONS       more options of stage 5, such as --limit=50
# A rehearsal of everything in minutes:
#   SCENES=200 BASE_OPTIONS=--image_size=64 SCORE_OPTIONS=--limit=20 \
#       STAGE_OPTIONS="--schedule.steps=20 --schedule.save_every=20" training/run_all.sh rehearsal
set -eu
runs=${1:?usage: training/run_all.sh RUNS}
mkdir -p "$runs"
runs=$(cd "$runs" && pwd)
scenes=${SCENES:-20000}
processes=${PROCESSES:-$(nproc)}
cd "$(dirname "$0")/.."
. training/stages.sh

render() { # folder, number of scenes, seed, split
    python -m training.synthetic.render "$runs/scenes/$1" --scenes "$2" --seed "$3" --split "$4" \
        ${ASSETS:+--assets "$ASSETS"} ${PANORAMAS:+--panoramas "$PANORAMAS"} --workers "$processes"
}

ship() { # model, folder: a copy that knows what its boxes enclose, exported and calibrated
    weights=model.safetensors
    if [ ! -f "$2/onnx/int8/export.json" ] || ! cmp -s "$1/$weights" "$2/$weights"; then
        rm -rf "$2"
        cp -r "$1" "$2"
        python -m training.fit_head_shape "$runs/scenes/watched" --model "$2"
        python -m hpe_vlm_ros.vlm.export "$2"
    fi
    python -m training.calibrate "$2" "$runs/scenes/watched" --raw "$runs/calibration" ||
        echo "$2 stays uncalibrated, see above: a model that learnt too little finds no heads" >&2
}

render described "$scenes" 1 train # for stage 0 and rehearsal
render weak "$scenes" 2 train      # in the role of weakly labelled photographs
render task "$scenes" 3 task       # in the role of exactly labelled task data: other people
render watched "$((scenes < 500 ? scenes : 500))" 7 train

# shellcheck disable=SC2086  # options are several words
stage base_grounding embedded_base --data "[$runs/scenes/described]" --out "$runs/base" \
    ${BASE_OPTIONS:-}
stage stage1_pretrain embedded_stage1 --data "[$runs/scenes/weak]" --base "$runs/base/model" \
    --rehearsal "[$runs/scenes/described]" --out "$runs/stage1"
stage stage1_pretrain embedded_decoder --data "[$runs/scenes/weak]" --base "$runs/stage1/model" \
    --rehearsal "[$runs/scenes/described]" --out "$runs/decoder"
stage stage2_finetune embedded_stage2 --data "[$runs/scenes/task]" --base "$runs/decoder/model" \
    --out "$runs/stage2"
merge "$runs/stage3"
rehearse "$runs/stage3" "$runs/stage4"
ship "$runs/stage4/model" "$runs/shipped"
score "$runs/shipped" "$runs/scored" --base "$runs/base/model"
