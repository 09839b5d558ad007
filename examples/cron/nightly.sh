#!/usr/bin/env bash
# Audit every repository of a list, keep the reports, and print only what needs somebody.
#
# usage: nightly.sh LIST FOLDER
# LIST has a target a line; lines that begin with # and empty ones are passed over. The exit code is hubaudit's.
set -euo pipefail
umask 077
list=$1
folder=$2

targets=()
while IFS= read -r line || [[ -n $line ]]; do
  if [[ -n $line && $line != '#'* ]]; then
    targets+=("$line")
  fi
done < "$list"
if ((${#targets[@]} == 0)); then
  echo "nightly.sh: $list names no target" >&2
  exit 2
fi

mkdir -p "$folder/reports"
export HF_HOME="${HF_HOME:-$folder/huggingface}"
export HUBAUDIT_CACHE="${HUBAUDIT_CACHE:-$folder/cache}"
# Two runs at once would fetch everything twice: the second one leaves it to the first.
exec 9> "$folder/lock"
if ! flock --nonblock 9; then
  echo "nightly.sh: the run before is still at work" >&2
  exit 2
fi

code=0
hubaudit audit --quiet --no-config --reports "$folder/reports" \
  -o "$folder/latest.json" -o "$folder/latest.md" -- "${targets[@]}" || code=$?
if ((code != 0)) && [[ -f $folder/latest.md ]]; then
  cat -- "$folder/latest.md"
fi
exit "$code"
