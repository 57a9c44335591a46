-- What the driver scripts expect to find. Their user may select and insert on
-- public.orders and nothing else.
CREATE TABLE public.orders (
    id int PRIMARY KEY,
    status text NOT NULL
);
INSERT INTO public.orders VALUES (1, 'new'), (2, 'paid'), (3, 'sent');

CREATE SCHEMA private;
CREATE TABLE private.salaries (
    id int PRIMARY KEY,
    amount int NOT NULL
);
INSERT INTO private.salaries VALUES (1, 90000);
