# Sourced by the scripts beside it: copies of the checkout, each with an environment of its own, and the real data.
# Environments are kept by the hash of what asks for them, and removed when nothing has used them for two weeks.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
python=${PYTHON:-python3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/probatum-ci
kept=$cache/$({ "$python" --version; cat pyproject.toml; } | sha256sum | cut -c1-16)
mkdir -p "$kept"
touch "$kept"
find "$cache" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +

# announce WORDS : a heading, with the seconds since the start.
announce() {
    echo "=== $SECONDS s: $*"
}

# enter_copy NAME : goes to a fresh copy of the checkout; only its environment .venv stays from run to run.
enter_copy() {
    mkdir -p "$kept/$1"
    find "$kept/$1" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    tar -c -C "$root" --exclude=./.git --exclude=./.venv --exclude=./build --exclude=./dist --exclude=./runs \
        --exclude=./.hypothesis --exclude='./.*_cache' --exclude=__pycache__ . | tar -x -C "$kept/$1"
    cd "$kept/$1"
    "$python" -m venv .venv
}

# inherit NAME : lets the environment of this copy see the packages of another's, so that torch is installed once.
inherit() {
    for packages in "$kept/$1"/.venv/lib/python3*/site-packages; do
        echo "$packages" > "$(echo .venv/lib/python3*/site-packages)/inherited.pth"
    done
}

# use_data : sets PROBATUM_DATA to a copy of the real data, where there is some; loaders unpack beside the archives.
use_data() {
    [ -d "$root/../shared/data" ] || return 0
    scratch=$(mktemp -d)
    trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
    cp -r "$root/../shared/data" "$scratch/data"
    [ ! -d "$root/../shared/checkpoints" ] || ln -s "$root/../shared/checkpoints" "$scratch/checkpoints"
    chmod -R u+w "$scratch/data"
    export PROBATUM_DATA=$scratch/data
}
