#!/usr/bin/env bash
# Set up what is missing, then run the workflow. Arguments go to snakemake:
#   ./run.sh                 the main job on the embedded demo data
#   ./run.sh -n              what would be done
#   ./run.sh --configfile config/paper.yaml
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
case " $* " in
    *" --cores "* | *" --cores="* | *" -c "* | *" -c"[0-9]* | *" --jobs "* | *" -j"*) cores=() ;;
    *) cores=(--cores all) ;;
esac
export LDCT_TIME_AHEAD=1 # the workflow says how long it will take, once it knows what there is to do
exec snakemake "${cores[@]}" "$@"
