#!/usr/bin/env bash
# What one CUDA machine is worth, in at most ten minutes and in the order of value. Each part has a limit in seconds and
# leaves its record as soon as it ends. After 590 s in all nothing is begun any more, and what runs is cut off.
# Usage: benchmarks/gpu.sh OUT. SMALL=1 runs the same commands on the CPU in tiny form; PYTHON chooses the interpreter.
set -uo pipefail
out=$(mkdir -p "${1:?give the folder to write into}" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export PYTHONUNBUFFERED=1

if [ "${SMALL:-0}" = 1 ]; then
    machine=(--device cpu --quick --threads 1)
    models=(squeezenet1_0) batches=(2) checked=1 panel=1 maps=4 many=1040 rounds=1 compiled=(squeezenet1_0 2) seconds=3600 stretch=10
else
    machine=(--device cuda)
    models=(resnet50 inception_v3 vit_b_16) batches=(64 512) checked=50 panel=16 maps=128 many=4096 rounds=3 compiled=(resnet50 64)
    seconds=590 stretch=1
fi

failed=0
# part SECONDS NAME COMMAND... : runs a command under a limit, its output in OUT/NAME.log; packs what there is.
part() {
    local limit=$(($1 * stretch)) name=$2 status=0 start=$SECONDS left=$((seconds - 10 - SECONDS))
    shift 2
    [ "$left" -ge 10 ] || { echo "$name: left out, for the time is over"; failed=1; return; }
    [ "$limit" -le "$left" ] || limit=$left
    timeout --kill-after=5 "$limit" "$@" > "$out/$name.log" 2>&1 || status=$?
    echo "$name: $((SECONDS - start)) s, exit $status"
    [ "$status" = 0 ] || { failed=1; tail -n 15 "$out/$name.log"; }
    tar -C "$out" --exclude=records.tgz --exclude=unfinished -czf "$out/records.tgz" . 2> /dev/null || true
}
bench() { # SECONDS NAME, then the words of the command
    local limit=$1 name=$2
    shift 2
    part "$limit" "$name" "$python" -m probatum bench "$@" "${machine[@]}" --out "$out/$name"
}

# Without the options of pyproject.toml, which need beartype, and only the modules that have tests for CUDA, because others
# import libraries that may be missing, such as Captum.
mapfile -t cuda_tests < <(grep -rl 'mark\.cuda' --include='test_*.py' tests)
part 90 tests "$python" -m pytest -q -o addopts= -p no:cacheprovider -m cuda "${cuda_tests[@]}"
for batch in "${batches[@]}"; do
    for model in "${models[@]}"; do
        bench 60 "throughput-$model-$batch" throughput --model "$model" --batch "$batch" --rounds "$rounds"
    done
done
bench 70 graphs graphs --rounds "$rounds"
bench 50 panel panel --model resnet50 --batch "$panel" --rounds 1
bench 40 metrics metrics --batch "$maps" --rounds 1
bench 30 metrics-alone metrics --batch "$many" --rounds "$rounds" # without the loops, which take many pairs too long
bench 60 check-resnet50 check --model resnet50 --batch "$checked" --rounds 1
bench 60 check-inception_v3 check --model inception_v3 --batch "$checked" --rounds 1
bench 120 compiled compiled --model "${compiled[0]}" --batch "${compiled[1]}" --rounds "$rounds"
exit "$failed"
