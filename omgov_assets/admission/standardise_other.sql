-- Conformed rows of any other dataset: only day and system are added.
SELECT $day::DATE AS day, $system AS system, c.* FROM conformed AS c
