#!/bin/sh
# Run once, when the database is made: the issuer's login, which owns nothing. The first migration
# finds it by its name and lets it act as tollgate_app.
set -eu
# psql takes the password out of its environment and quotes it: no list of processes shows it.
psql --username postgres --dbname tollgate --set ON_ERROR_STOP=1 --quiet <<'SQL'
\getenv password ISSUER_DATABASE_PASSWORD
create role tollgate_issuer login password :'password';
SQL
