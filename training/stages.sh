# What run_all.sh and run_tables.sh have in common; read by them, with `runs` and `processes` set.
batch=${BATCH:-16}

stage() { # module, recipe, more options
    module=$1 recipe=$2
    shift 2
    # shellcheck disable=SC2086  # options are several words
    python -m torch.distributed.run --nproc_per_node "$processes" -m "training.$module" \
        --config "config/training/$recipe.yaml" --validation "$runs/scenes/validation" \
        --threads 1 --data_options.batch_size "$batch" "$@" ${STAGE_OPTIONS:-}
}

merge() { # folder, more options
    out=$1
    shift
    [ -d "$out" ] || python -m training.stage3_merge \
        --config config/training/embedded_stage3_merge.yaml \
        --original "$runs/decoder/model" --tuned "$runs/stage2/model" --out "$out" "$@"
}

rehearse() { # merged model, folder, more options
    merged=$1 out=$2
    shift 2
    stage stage4_rehearse embedded_stage4 --data "[$runs/scenes/task]" --base "$merged" \
        --rehearsal "[$runs/scenes/described]" --out "$out" "$@"
}

score() { # model, folder, more options
    model=$1 out=$2
    shift 2
    # shellcheck disable=SC2086
    python -m training.stage5_evaluate --model "$model" --workers "$processes" --out "$out" \
        ${SCORE_OPTIONS:-} "$@"
}
