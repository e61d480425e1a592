#!/bin/sh
# The whole pipeline at embedded size: scenes, five stages, evaluation. Resumable: give the same
# command again and every step goes on where it was stopped.
#
#   training/run_all.sh RUNS
#
# RUNS takes scenes (some gigabytes) and every stage's model. Settings, by environment:
#   ASSETS, PANORAMAS   folders for the renderer (see training/synthetic/render.py); both optional
#   SCENES              scenes of each training set (20000)
#   PROCESSES           processes that render, learn and answer (number of cores)
#   BASE_OPTIONS        more options of stage 0, such as --image_size=64
#   STAGE_OPTIONS       more options of every learning stage, such as --schedule.steps=20
#   SCORE_OPTIONS       more options of stage 5, such as --limit=50
# A rehearsal of everything in minutes:
#   SCENES=100 BASE_OPTIONS=--image_size=64 SCORE_OPTIONS=--limit=20 \
#       STAGE_OPTIONS="--schedule.steps=20 --schedule.save_every=20" training/run_all.sh rehearsal
set -eu
runs=${1:?usage: training/run_all.sh RUNS}
mkdir -p "$runs"
runs=$(cd "$runs" && pwd)
scenes=${SCENES:-20000}
processes=${PROCESSES:-$(nproc)}
cd "$(dirname "$0")/.."
. training/stages.sh

render() { # folder, number of scenes, seed
    python -m training.synthetic.render "$runs/scenes/$1" --scenes "$2" --seed "$3" --split train \
        ${ASSETS:+--assets "$ASSETS"} ${PANORAMAS:+--panoramas "$PANORAMAS"} --workers "$processes"
}

render described "$scenes" 1 # for stage 0 and rehearsal
render weak "$scenes" 2      # in the role of weakly labelled photographs
render task "$scenes" 3      # in the role of exactly labelled task data
render watched "$((scenes < 500 ? scenes : 500))" 7

# shellcheck disable=SC2086  # options are several words
stage base_grounding embedded_base --data "[$runs/scenes/described]" --out "$runs/base" \
    ${BASE_OPTIONS:-}
stage stage1_pretrain embedded_stage1 --data "[$runs/scenes/weak]" --base "$runs/base/model" \
    --rehearsal "[$runs/scenes/described]" --out "$runs/stage1"
stage stage2_finetune embedded_stage2 --data "[$runs/scenes/task]" --base "$runs/stage1/model" \
    --out "$runs/stage2"
merge "$runs/stage3"
rehearse "$runs/stage3" "$runs/stage4"
score "$runs/stage4/model" "$runs/scored"
