DROP VIEW public.writers;
DROP TABLE public.letters, public.people;
DROP FUNCTION public.twice(integer);
DROP DOMAIN public.positive;
DROP TYPE public.mood;
