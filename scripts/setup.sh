#!/usr/bin/env bash
# Make .venv with everything pinned. Does nothing where .venv is already up to date.
#
# Settings (environment variables):
#   PYTHON            interpreter to use (default: the first Python >= 3.11 found)
#   LDCT_TORCH        auto (default): the CUDA build where an NVIDIA driver answers, else the CPU build
#                     cpu | cuda: force one
#   LDCT_WITHOUT_BM3D set to 1 to leave out bm3d, whose licence is non-commercial
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TORCH="torch==2.13.0"
UV="uv==0.13.9"
VENV=".venv"
ENVIRONMENT_PYTHON="$VENV/bin/python"

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python >= 3.11 found; install one, or name it: PYTHON=/path/to/python3.11 $0" >&2
    return 1
}

torch_build() {
    case "${LDCT_TORCH:-auto}" in
        cpu | cuda) echo "$LDCT_TORCH" ;;
        auto)
            if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then echo cuda; else echo cpu; fi
            ;;
        *)
            echo "error: LDCT_TORCH: found '$LDCT_TORCH', expected auto, cpu or cuda" >&2
            return 1
            ;;
    esac
}

# uv does not read pip's settings: hand over where this user's pip looks for packages.
share_pip_settings() {
    local value
    if value=$("$ENVIRONMENT_PYTHON" -m pip config get global.index-url 2>/dev/null); then
        export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$value}"
    fi
    if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi
}

# Without dependencies: the lock names them all, but for torch, which is the next step.
install_locked() {
    local lock="$1"
    if "$ENVIRONMENT_PYTHON" -m pip install --quiet "$UV" 2>/dev/null; then
        share_pip_settings
        "$ENVIRONMENT_PYTHON" -m uv pip install --quiet --python "$ENVIRONMENT_PYTHON" \
            --no-deps --require-hashes --compile-bytecode --requirement "$lock" && return
        echo "uv could not install the packages; trying pip" >&2
    fi
    "$ENVIRONMENT_PYTHON" -m pip install --quiet --no-deps --require-hashes --compile --requirement "$lock"
}

# CPU build of torch, in this order: a wheel that the user's pip already offers without an index; the
# PyTorch project's CPU index, where it can be reached; PyPI (whose Linux build is the CUDA one).
install_torch() {
    local index="https://download.pytorch.org/whl/cpu"
    if [ "$1" = cpu ]; then
        "$ENVIRONMENT_PYTHON" -m pip install --quiet --no-index --no-deps "$TORCH" 2>/dev/null && return
        if "$ENVIRONMENT_PYTHON" -c "import urllib.request as r; r.urlopen('$index/torch/', timeout=3)" 2>/dev/null; then
            "$ENVIRONMENT_PYTHON" -m pip install --quiet --no-deps --index-url "$index" "$TORCH" && return
        fi
    fi
    "$ENVIRONMENT_PYTHON" -m pip install --quiet "$TORCH"
}

locked_packages() {
    if [ "${LDCT_WITHOUT_BM3D:-0}" = 1 ]; then
        # A package and its hashes are one entry: the name's line and the indented lines below it.
        awk '/^[^ ]/ { keep = ($0 !~ /^bm[34]d==/) } keep' requirements.lock
    else
        cat requirements.lock
    fi
}

main() {
    local build stamp python lock
    build=$(torch_build)
    stamp="$({ cat requirements.lock scripts/setup.sh; echo "$build ${LDCT_WITHOUT_BM3D:-0}"; } | cksum)"
    if [ -x "$ENVIRONMENT_PYTHON" ] && [ "$(cat "$VENV/.setup-stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    python=$(find_python)
    echo "Setting up $VENV with $("$python" --version) (once; a few minutes at most)" >&2
    [ -x "$ENVIRONMENT_PYTHON" ] || "$python" -m venv "$VENV"
    lock="$VENV/requirements.lock"
    locked_packages >"$lock"
    echo "  packages (requirements.lock, checked by hash)" >&2
    install_locked "$lock"
    echo "  $TORCH ($build build)" >&2
    install_torch "$build"
    echo "  the command ldct" >&2
    "$ENVIRONMENT_PYTHON" -m pip install --quiet --no-deps --editable . ||
        echo "  note: no command ldct; python -m ldct does the same" >&2
    if [ "${LDCT_WITHOUT_BM3D:-0}" != 1 ]; then
        echo "  note: bm3d is licensed for non-commercial use only (LDCT_WITHOUT_BM3D=1 leaves it out)" >&2
    fi
    echo "$stamp" >"$VENV/.setup-stamp"
}

main
