#!/usr/bin/env bash
# What one CUDA machine is worth, in about ten minutes: gradients per second in each precision beside the bare model, the
# whole check of Adebayo et al. (50 images; 17 stages of Inception v3, 18 of ResNet-50; 10 maps), metrics, the CUDA tests.
# Usage: benchmarks/h100.sh OUT. SMALL=1 runs the same commands on the CPU in tiny form; PYTHON chooses the interpreter.
set -uo pipefail
out=$(mkdir -p "${1:?give the folder to write into}" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

if [ "${SMALL:-0}" = 1 ]; then
    machine=(--device cpu --quick --threads 1)
    images=1 rows=2 maps=4 rounds=1
else
    machine=(--device cuda)
    images=50 rows=64 maps=128 rounds=3
fi

failed=0
bench() { # the name of the folder, then the words of the command
    local name=$1
    shift
    echo "+ bench $*"
    "$python" -m probatum bench "$@" "${machine[@]}" --out "$out/$name" || failed=1
}

bench precision precision --model resnet50 --batch "$rows" --rounds "$rounds"
bench check-inception_v3 check --model inception_v3 --batch "$images" --rounds 1
bench check-resnet50 check --model resnet50 --batch "$images" --rounds 1
bench metrics metrics --batch "$maps" --rounds "$rounds"
echo "+ pytest -m cuda"
"$python" -m pytest -q -m cuda tests || { status=$?; [ "$status" = 5 ] || failed=1; } # 5: no test was chosen
exit "$failed"
