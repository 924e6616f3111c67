WITH "entries" AS (
  SELECT
    "cases"."person",
    "cases"."order_key",
    "axis0"."column1" AS "cell"
  FROM "accord_cases" AS "cases"
  JOIN (VALUES
    (0, 7),
    (1, 56),
    (2, 64)) AS "axis0"
    ON (
      "cases"."work__0" & "axis0"."column2"
    ) <> 0
  WHERE
    (
      "cases"."year" = 0 OR "cases"."year" = 2
    ) AND "cases"."person_known" = 1
), "groups" AS (
  SELECT
    "person",
    "cell",
    MIN("order_key") AS "least"
  FROM "entries"
  GROUP BY
    "person",
    "cell"
), "ranked" AS (
  SELECT
    "cell",
    ROW_NUMBER() OVER (PARTITION BY "person" ORDER BY "least", "cell") AS "place"
  FROM "groups"
)
SELECT
  "cell",
  0 AS "slot",
  SUM(CASE WHEN "place" <= 2 THEN 1 ELSE 0 END) AS "added",
  SUM(0) AS "other",
  SUM(CASE WHEN "place" = 1 THEN 1 ELSE 0 END) AS "persons",
  SUM(CASE WHEN "place" > 2 AND "place" <= 3 THEN 1 ELSE 0 END) AS "dropped"
FROM "ranked"
WHERE
  "place" <= 3
GROUP BY
  "cell"
