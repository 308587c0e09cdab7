# Which tests run a second time on MySQL Cluster (NDB), and what keeps them from it. Needs ndb.sh and packages.sh.
# What reads or writes the database: the store, operations and pages.
NDB_SUITES="^test/(store|operations|pages)/|^test/schema\.test\.ts$"
# Two data nodes take 1 GB each, two SQL nodes 250 MB each; the tests beside them the rest.
NDB_MEMORY_MIB=4000
NDB_DISK_MIB=3000
# What programs that were unpacked, not installed, need from Debian 12.
PACKAGES_NDB_UNPACKED="zstd:zstd mariadb-client:mariadb-dump libaio1:/usr/lib/x86_64-linux-gnu/libaio.so.1 libnuma1:/usr/lib/x86_64-linux-gnu/libnuma.so.1"

why_no_ndb() { # why_no_ndb FOLDER: prints why no cluster can be started below it; nothing when one can
  local free
  if ! NDB_HOME=$(find_ndb 2>/dev/null); then
    echo "its programs were not found (MYSQL_CLUSTER_HOME, PATH)"
  elif ! ndb_runs 2>/dev/null; then
    echo "$(ndb_program mysqld) does not run here: is a library missing? On Debian: libaio1 libnuma1 libssl3"
  elif free=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo) && [ "$free" -lt "$NDB_MEMORY_MIB" ]; then
    echo "it needs $NDB_MEMORY_MIB MiB of free memory, here are $free"
  elif free=$(df -Pm "$1" | awk 'NR == 2 {print $4}') && [ "$free" -lt "$NDB_DISK_MIB" ]; then
    echo "it needs $NDB_DISK_MIB MiB of free disk in $1, here are $free"
  fi
}

why_not_on_ndb() { # why_not_on_ndb FILE: prints why this file is left to the run on MariaDB; nothing when it is not
  case $1 in
    *-lab.test.ts | */real-libvirtd.test.ts) echo "real hosts at work for minutes, the same whatever the engine; it ran on MariaDB" ;;
    test/operations/burn-in.test.ts | test/operations/migrate-chaos.test.ts | test/operations/host-drill.test.ts | test/operations/recover-kill.test.ts)
      echo "minutes of waiting for hosts, which would take the whole run past its time; it ran on MariaDB (scripts/test --ndb with its path runs it)" ;;
    *-browser.test.ts) echo "what a browser shows of pages that are tested here without it; it ran on MariaDB" ;;
  esac
}
