# A private MariaDB below a folder: a Unix socket only (no port), one database `cloud` and one account with a random
# password, kept in a file that only its owner reads. The machine's own database, if any, is not touched.

database_socket() { printf '%s/run/mariadb.sock' "$1"; }
database_url() { printf 'mysql://cloud:%s@localhost/cloud?socketPath=%s' "$(cat "$1/password")" "$(database_socket "$1")"; }

database_account() { # the system account that runs it: nobody, unless nobody can reach the folder (below /root, say)
  if [ -d "$1/data/mysql" ]; then stat -c %U "$1/data"; return; fi
  if setpriv --reuid nobody --regid nogroup --clear-groups test -x "$(dirname "$1")"; then echo nobody; else echo root; fi
}

start_database() { # start_database FOLDER [durable|quick]; quick, for tests, may lose the last second at a power
  # failure, and its account may make databases, one for each test file.
  local folder=$1 flush=1 databases='cloud.*' account
  if [ "${2-}" = quick ]; then flush=2 databases='*.*'; fi
  if is_running "$folder/pid"; then return; fi
  [ ${#folder} -le 85 ] || { echo "the path $folder is too long for a Unix socket: choose a shorter one"; return 1; }
  mkdir -p "$folder"
  account=$(database_account "$folder")
  mkdir -p "$folder/data" "$folder/run" "$folder/tmp"
  if [ ! -f "$folder/password" ]; then
    (umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$folder/password.new")
    mv "$folder/password.new" "$folder/password"
  fi
  write_database_options "$folder" "$flush" "$account"
  chown "$account" "$folder/data" "$folder/run" "$folder/tmp"
  chmod 700 "$folder/data" "$folder/tmp"
  if [ ! -d "$folder/data/mysql" ]; then
    mariadb-install-db --defaults-file="$folder/my.cnf" --auth-root-authentication-method=socket --skip-test-db --skip-name-resolve --rpm \
      >"$folder/install.log" 2>&1 || { cat "$folder/install.log"; rm -rf "$folder/data"; return 1; }
  fi
  rm -f "$folder/run/"*
  : >> "$folder/mariadb.log"
  chown "$account" "$folder/mariadb.log"
  launch "$folder/pid" "$folder/mariadb.log" mariadbd --defaults-file="$folder/my.cnf"
  wait_until 60 database_answers_or_ended "$folder" || true
  database_answers "$folder" || { tail -n 20 "$folder/mariadb.log"; stop_database "$folder"; return 1; }
  # At every start: a password file that was replaced, or a first start that was interrupted, is put right by this.
  database_root "$folder" <<SQL
$([ "$account" = root ] || echo "DROP USER IF EXISTS $account@localhost;")
CREATE DATABASE IF NOT EXISTS cloud;
CREATE USER IF NOT EXISTS cloud@localhost;
ALTER USER cloud@localhost IDENTIFIED BY '$(cat "$folder/password")';
GRANT ALL PRIVILEGES ON $databases TO cloud@localhost;
SQL
}

write_database_options() { # FOLDER FLUSH ACCOUNT
  cat > "$1/my.cnf" <<CNF
[mariadbd]
user = $3
datadir = $1/data
socket = $1/run/mariadb.sock
tmpdir = $1/tmp
pid_file = $1/run/mariadb.pid
skip_networking
skip_name_resolve
character_set_server = utf8mb4
collation_server = utf8mb4_unicode_ci
default_time_zone = +00:00
transaction_isolation = READ-COMMITTED
innodb_flush_log_at_trx_commit = $2
innodb_buffer_pool_size = 96M
innodb_log_file_size = 48M
max_connections = 300
performance_schema = OFF
# The account may not read or write files of the machine by SQL.
secure_file_priv = $1/tmp
local_infile = OFF
CNF
}

database_root() { mariadb --no-defaults --socket="$(database_socket "$1")" --user=root "${@:2}"; }
database_answers() { database_root "$1" -e 'SELECT 1' >/dev/null 2>&1; }
database_answers_or_ended() { ! running_pid "$1/pid" >/dev/null || database_answers "$1"; }

stop_database() { stop_remembered "$1/pid" 30; }
