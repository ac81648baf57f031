-- Runs once, when the volume is empty. The service's role owns its database and can do nothing else.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/postgres_password`
CREATE ROLE apono_sentinel LOGIN PASSWORD :'password';
CREATE DATABASE outbox OWNER apono_sentinel;
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, outbox FROM PUBLIC;
-- Over the network nobody signs in as superuser. Inside the container `psql --username postgres` needs no password.
ALTER ROLE postgres PASSWORD NULL;
