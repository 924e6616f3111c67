WITH "entries" AS (
  SELECT
    "cases"."person",
    "cases"."order_key",
    "axis0"."column1" + CAST("cases"."year" AS INT) AS "cell"
  FROM "accord_cases" AS "cases"
  JOIN (VALUES
    (0, 1),
    (4, 2),
    (8, 4),
    (12, 8),
    (16, 16),
    (20, 32),
    (24, 64)) AS "axis0"("column1", "column2")
    ON (
      "cases"."work__0" & "axis0"."column2"
    ) <> 0
  WHERE
    "cases"."year" BETWEEN 0 AND 3 AND "cases"."person_known" = 1
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
    ROW_NUMBER() OVER (PARTITION BY "person" ORDER BY "least", "cell") AS "place",
    COUNT(*) OVER (PARTITION BY "person") AS "groups"
  FROM "groups"
)
SELECT
  "cell",
  0 AS "slot",
  SUM(
    CASE
      WHEN "groups" <= 13
      THEN CASE
        WHEN "groups" <= 2
        THEN 64
        WHEN "groups" <= 3
        THEN 52
        WHEN "groups" <= 4
        THEN 45
        WHEN "groups" <= 5
        THEN 40
        WHEN "groups" <= 6
        THEN 36
        WHEN "groups" <= 7
        THEN 34
        WHEN "groups" <= 8
        THEN 32
        WHEN "groups" <= 9
        THEN 30
        WHEN "groups" <= 10
        THEN 28
        WHEN "groups" <= 11
        THEN 27
        WHEN "groups" <= 12
        THEN 26
        ELSE 25
      END
      ELSE CASE
        WHEN "groups" <= 14
        THEN 24
        WHEN "groups" <= 15
        THEN 23
        WHEN "groups" <= 16
        THEN 22
        WHEN "groups" <= 18
        THEN 21
        WHEN "groups" <= 20
        THEN 20
        WHEN "groups" <= 22
        THEN 19
        WHEN "groups" <= 25
        THEN 18
        ELSE 17
      END
    END
  ) AS "added",
  SUM(0) AS "other",
  SUM(CASE WHEN "place" = 1 THEN 1 ELSE 0 END) AS "persons",
  SUM(CASE WHEN "place" > 2 AND "place" <= 3 THEN 1 ELSE 0 END) AS "dropped"
FROM "ranked"
GROUP BY
  "cell"
