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
#   AVATARS             a folder of rigged people for the renderer (training/synthetic/people/avatars.py);
#                       optional
#   FROM                a model folder to go on from, such as models/embedded, in place of stage 0 and
#                       an untrained model; give another SEED with it, so that scenes are new
#   SEED                number of the scenes drawn (0)
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
    python -m training.synthetic.render "$runs/scenes/$1" --scenes "$2" --split "$4" \
        --seed "$((10 * ${SEED:-0} + $3))" --workers "$processes" \
        ${ASSETS:+--assets "$ASSETS"} ${PANORAMAS:+--panoramas "$PANORAMAS"} \
        ${AVATARS:+--avatars "$AVATARS"}
}

ship() { # model, folder: a copy that knows what its boxes enclose, exported and calibrated; with
    # the read-outs of training, for whoever goes on from it
    weights=model.safetensors
    if [ ! -f "$2/onnx/int8/export.json" ] || ! cmp -s "$1/$weights" "$2/$weights"; then
        rm -rf "$2"
        cp -r "$1" "$2"
        [ -f "$2/read_outs.safetensors" ] || cp "$(dirname "$1")/read_outs.safetensors" "$2"
        python -m training.release.fit_head_shape "$runs/scenes/validation" --model "$2"
        python -m hpe_vlm_ros.vlm.export "$2"
    fi
    python -m training.release.calibrate "$2" "$runs/scenes/validation" --raw "$runs/calibration" ||
        echo "$2 stays uncalibrated, see above: a model that learnt too little finds no heads" >&2
}

render described "$scenes" 1 train # for stage 0 and rehearsal
render weak "$scenes" 2 train      # in the role of weakly labelled photographs
render task "$scenes" 3 task       # in the role of exactly labelled task data: other people
render validation "$((scenes < 500 ? scenes : 500))" 7 train

weak() { # recipe, base, folder: stage 1, rehearsing stage 0
    stage stage1_pretrain "$1" --data "[$runs/scenes/weak]" --base "$2" --out "$3" \
        --rehearsal "[$runs/scenes/described]"
}

if [ -n "${FROM:-}" ]; then
    base=$FROM
    weak embedded_further "$base" "$runs/decoder"
else
    base=$runs/base/model
    # shellcheck disable=SC2086  # options are several words
    stage stage0_ground embedded_base --data "[$runs/scenes/described]" --out "$runs/base" \
        ${BASE_OPTIONS:-}
    weak embedded_stage1 "$base" "$runs/stage1"
    weak embedded_decoder "$runs/stage1/model" "$runs/decoder"
fi
stage stage2_finetune embedded_stage2 --data "[$runs/scenes/task]" --base "$runs/decoder/model" \
    --out "$runs/stage2"
merge "$runs/stage3"
rehearse "$runs/stage3" "$runs/stage4"
last=$runs/stage4/model
if [ -n "${FROM:-}" ]; then # the mean of stages 1 and 4 errs less in strange scenes than either
    last=$runs/mean
    [ -d "$last" ] || python -m training.stage3_merge --method task_arithmetic \
        --original "$runs/decoder/model" --tuned "$runs/stage4/model" --out "$last"
fi
ship "$last" "$runs/shipped"
score "$runs/shipped" "$runs/scored" --base "$base"
