# A small cloud of its own for one benchmark: start_bench_cloud HOSTS starts it (scripts/up) below DATA and leaves an
# administrator's API token in $DATA/bench-token; whatever way the caller ends, it is stopped.
BENCH_UP='' BENCH_TEMPORARY=''

finish_bench() {
  if [ -n "$BENCH_UP" ]; then kill -TERM "$BENCH_UP" 2>/dev/null || true; wait "$BENCH_UP" 2>/dev/null || true; fi
  if [ -n "$BENCH_TEMPORARY" ]; then rm -rf "$DATA"; fi
}

start_bench_cloud() { # start_bench_cloud HOSTS: DATA is a folder, or empty for a temporary one; PORT is the portal's
  if [ -z "$DATA" ]; then DATA=$(mktemp -d /tmp/bench.XXXXXX) BENCH_TEMPORARY=yes; chmod 755 "$DATA"; fi
  DATA=$(absolute "$DATA")
  mkdir -p "$DATA"
  trap finish_bench EXIT
  (umask 077; od -An -N18 -tx1 /dev/urandom | tr -d ' \n' > "$DATA/bench-password")
  "$ROOT/scripts/up" --data "$DATA" --hosts "$1" --port "$PORT" --admin bench --admin-password-file "$DATA/bench-password" > "$DATA/bench-up.out" &
  BENCH_UP=$!
  wait_until 600 bench_is_ready || true
  grep -q '^ready ' "$DATA/bench-up.out" || die "the cloud did not start"
  (umask 077; "$ROOT/scripts/admin" --data "$DATA" token bench --scope write > "$DATA/bench-token")
}
bench_is_ready() { grep -q '^ready ' "$DATA/bench-up.out" || ! kill -0 "$BENCH_UP" 2>/dev/null; }

start_lab_bench() { # start_lab_bench HOSTS PORT ROUNDS "programs" arguments…: what the benchmarks on a lab begin with; sets PORT, DATA, ROUNDS
  local hosts=$1 program
  PORT=$2 ROUNDS=$3 DATA=''
  local programs=$4
  shift 4
  local arguments=("$@")
  while [ $# -gt 0 ]; do
    case $1 in
      --rounds) ROUNDS=${2:?--rounds needs a number}; shift 2 ;;
      --data) DATA=${2:?--data needs a folder}; shift 2 ;;
      *) die "unknown option: $1" ;;
    esac
  done
  require_root "A lab of private hosts" "${arguments[@]}"
  for program in $programs; do
    command -v "$program" >/dev/null || die "$program is missing: apt-get install libvirt-clients iputils-ping openssh-client"
  done
  start_bench_cloud "$hosts"
}

bench_with_database() { # bench_with_database SCRIPT arguments…: with the database of TEST_DATABASE_URL, or a private one that ends with it
  . "$ROOT/scripts/lib/database.sh"
  cd "$ROOT"
  if [ -n "${TEST_DATABASE_URL:-}" ]; then exec node --import tsx "$@"; fi
  BENCH_TEMPORARY=$(mktemp -d /tmp/bench.XXXXXX)
  chmod 711 "$BENCH_TEMPORARY"
  trap 'stop_database "$BENCH_TEMPORARY/database"; rm -rf "$BENCH_TEMPORARY"' EXIT
  start_database "$BENCH_TEMPORARY/database" quick >/dev/null
  TEST_DATABASE_URL=$(database_url "$BENCH_TEMPORARY/database") node --import tsx "$@"
}
