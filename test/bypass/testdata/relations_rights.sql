CREATE ROLE rita LOGIN;
GRANT SELECT ON pay_names, pay_total, with_function, with_plus, with_hidden TO rita;
GRANT SELECT ON pay_mine, pay_over_mine, pay_of_names, news_mine TO rita; -- since 15
GRANT SELECT (id, name) ON pay_all TO rita;
GRANT UPDATE (name), INSERT (id, name), DELETE ON pay_names TO rita;
GRANT UPDATE, INSERT, DELETE ON pay_mine TO rita; -- since 15
GRANT SELECT, INSERT, UPDATE, DELETE ON news TO rita;
GRANT UPDATE (body), INSERT ON news_mine TO rita; -- since 15
GRANT SELECT (id), UPDATE (name) ON pay TO rita;
GRANT EXECUTE ON FUNCTION plus(int), salary_sql(int), salary_nested(int), salary_atomic(int), salary_path(int), salary_opaque(int),
    salary_definer(int), raise_pay(int), news_count(), salaries(int), salary_state(numeric, int), badge_salary(int),
    tone_same(tone, tone), shade_same(shade, shade), weight_lt(int, int), kilo_other(int, int), kilo_alike(int, int) TO rita;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON spied, over_spied, ruled, defaulted, checked, indexed, numbered, counted, parent, quiet_parent, parted TO rita;
GRANT TRUNCATE ON news TO rita;
GRANT SELECT ON rows_of, rows_by_pay, over_rows, numbered_id_seq, graded, toned, weighed, scales, piled, piled_one, ranked TO rita;
GRANT INSERT ON piled, piled_one TO rita;
