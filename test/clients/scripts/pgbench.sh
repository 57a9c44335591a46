#!/bin/sh
# Fills pgbench's tables in both ways, and runs its transactions in each of its modes.
# What it prints of times is left out.
set -eu
for steps in dtgvpf dtGp; do
	pgbench -q -i -I $steps "$1" 2>&1 | sed 's/(.*)//; s/in [0-9].*//; /tuples.*done/d'
done
for mode in simple extended prepared; do
	pgbench -n -M $mode -c 2 -t 20 --random-seed=7 "$1" 2>&1 | grep -E 'mode|processed|failed|ERROR|FATAL|error|DETAIL'
	pgbench -n -M $mode -S -c 1 -t 50 --random-seed=7 "$1" 2>&1 | grep -E 'mode|processed|failed|ERROR|FATAL|error|DETAIL'
done
psql -X -At -c 'SELECT count(*) FROM pgbench_history' -c 'SELECT sum(bbalance) - (SELECT sum(abalance) FROM pgbench_accounts) FROM pgbench_branches' "$1"
pgbench -q -i -I d "$1" 2>&1 | sed 's/in [0-9].*//'
