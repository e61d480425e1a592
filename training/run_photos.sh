#!/bin/sh
# Teach the embedded model on photographs beside rendered scenes, from known weights, and score it.
# Resumable: give the same command again and every step goes on where it was stopped.
#
#   training/run_photos.sh RUNS PHOTOS TEACHERS
#
# PHOTOS holds real_photos/, no_people/ and test_only/ with the sets that training/labelling/judged
# names; TEACHERS holds *.jsonl of faces with the poses of public networks. RUNS/shipped is what
# models/embedded is. Settings, by environment:
#   FROM         model folder to go on from (models/embedded)
#   SCENES       folder of rendered scenes (RUNS/scenes/weak, of training/run_all.sh)
#   SCENES_VALIDATION   folder of rendered scenes that nothing learnt from, to fit scores on as well
#   STEPS        optimiser steps of 16 pictures (1050)
#   SHARE        of what was learnt that is kept, the rest staying as in FROM (0.7)
#   REFINER_STEPS   optimiser steps of the refiner, 96 squares each (1800)
#   PROCESSES    processes that learn (number of cores; 1 on a GPU)
#   STAGE_OPTIONS   more options of stage 1, such as --schedule.rate=1e-4
set -eu
runs=${1:?usage: training/run_photos.sh RUNS PHOTOS TEACHERS}
photos=$(cd "${2:?PHOTOS is missing}" && pwd)
teachers=$(cd "${3:?TEACHERS is missing}" && pwd)
mkdir -p "$runs"
runs=$(cd "$runs" && pwd)
processes=${PROCESSES:-$(nproc)}
cd "$(dirname "$0")/.."
from=${FROM:-models/embedded}
scenes=${SCENES:-$runs/scenes/weak}

sets=$(cd "$photos/real_photos" && find . -mindepth 1 -maxdepth 1 -type d | sed 's#./##' | paste -sd,)
rooms=$(cd "$photos/no_people" && find . -mindepth 1 -maxdepth 1 -type d | sed 's#./##' | paste -sd,)
propose() { # folder of sets, sets, file
    python -m training.labelling.review propose --photos "$1" --teachers "$teachers" \
        --sets "[$2]" --out "$3" --model "$from" --tiles 1
}
propose "$photos/real_photos" "$sets" "$runs/proposals.jsonl"
propose "$photos/no_people" "$rooms" "$runs/rooms.jsonl"
[ -f "$runs/photos/labels.jsonl" ] || python -m training.labelling.build \
    --photos "$photos/real_photos" --proposals "[$runs/proposals.jsonl]" --out "$runs/photos" \
    --empty "$photos/no_people" --empty_proposals "$runs/rooms.jsonl" --repeat 3

# shellcheck disable=SC2086  # options are several words
python -m torch.distributed.run --nproc_per_node "$processes" -m training.stage1_pretrain \
    --config config/training/embedded_photos.yaml --data "[$scenes,$runs/photos]" \
    --validation "$runs/photos_validation" --base "$from" --out "$runs/stage1" --threads 1 \
    --schedule.steps "${STEPS:-1050}" ${STAGE_OPTIONS:-}

if [ ! -d "$runs/shipped/onnx/int8" ]; then
    rm -rf "$runs/shipped"
    python -m training.stage3_merge --original "$from" --tuned "$runs/stage1/model" \
        --out "$runs/shipped" --method task_arithmetic --options.weight "${SHARE:-0.7}"
    python -m hpe_vlm_ros.vlm.export "$runs/shipped"
fi
python -m training.release.fit_scores "$runs/shipped" "[$runs/photos_validation]"

# The refiner learns from what the shipped weights take for heads, or might.
for part in photos photos_validation; do
    python -m training.refiner.candidates "$runs/$part" "$runs/$part.candidates.jsonl" \
        --model "$runs/shipped" --threads "$processes"
done
[ -f "$runs/crops/facts.npz" ] || python -m training.refiner.crops "[$runs/photos,$scenes]" \
    "$runs/crops" --candidates "[$runs/photos.candidates.jsonl]"
[ -f "$runs/crops_validation/facts.npz" ] || python -m training.refiner.crops \
    "[$runs/photos_validation]" "$runs/crops_validation" \
    --candidates "[$runs/photos_validation.candidates.jsonl]"
python -m torch.distributed.run --nproc_per_node "$processes" -m training.teach_refiner \
    "$runs/crops" "$runs/refiner" --validation "$runs/crops_validation" --base "$from" \
    --steps "${REFINER_STEPS:-1800}" --threads 1
python -m training.release.refiner "$runs/shipped" "$runs/refiner/refiner.safetensors" \
    "[$runs/photos_validation${SCENES_VALIDATION:+,$SCENES_VALIDATION}]" --base "$from"
python -m training.labelling.testset --photos "$photos" --rooms '[no_people]' \
    --people '{real_photos: training/labelling/judged}' --part validation --out "$runs/validation.jsonl"
python -m training.evaluation.photos "$photos" --model "$runs/shipped" \
    --labels "$runs/validation.jsonl" # choose by these numbers, never by the next
python -m training.evaluation.photos "$photos" --model "$runs/shipped" --curve "$runs/curve.png" \
    --sheet "$runs/sheet.jpg"
