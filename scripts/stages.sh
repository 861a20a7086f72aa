# Sourced by the scripts beside it: stages with their time, and one closing line.
# A script that sources this stops at the first failing command and says which stage it was in.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

script_name=$(basename "$0")
stage_name=setup
stage_start=$SECONDS
stage_count=0

# stage NAME COMMAND...: run one named step and print how long it took.
stage() {
  stage_name=$1
  shift
  stage_start=$SECONDS
  stage_count=$((stage_count + 1))
  printf '\n==> %s\n' "$stage_name"
  "$@"
  printf '<== %s: %ds\n' "$stage_name" $((SECONDS - stage_start))
}

# check_format: every Go file in the working tree is formatted.
check_format() {
  local unformatted
  unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l)
  [[ -z $unformatted ]] || { printf 'gofmt would change:\n%s\n' "$unformatted" >&2; return 1; }
}

closing_line() {
  local status=$?
  if ((status == 0)); then
    printf '\nPASS %s: %d stages in %ds\n' "$script_name" "$stage_count" "$SECONDS"
  else
    printf '\nFAIL %s: stage "%s" ended with status %d after %ds\n' \
      "$script_name" "$stage_name" "$status" $((SECONDS - stage_start)) >&2
  fi
}
trap closing_line EXIT
