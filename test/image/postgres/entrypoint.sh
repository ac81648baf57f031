# What the entry point of postgres:18 does with an empty volume, as far as the compose file needs it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA"
  # shellcheck disable=SC2086
  initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait --options "-c listen_addresses=''" start
  for file in /docker-entrypoint-initdb.d/*.sql; do
    psql --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres --file "$file"
  done
  pg_ctl --wait --mode fast stop
fi
exec "$@" -c 'listen_addresses=*'
