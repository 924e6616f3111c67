WITH "entries" AS (
  SELECT
    "cases"."person",
    "cases"."order_key",
    "cases"."person_known" AS "known",
    CAST("cases"."year" AS INT) AS "cell",
    "cases"."case_place",
    CASE
      WHEN "cases"."days" < 0
      THEN 0
      WHEN "cases"."days" > 90
      THEN 90
      ELSE "cases"."days"
    END AS "value"
  FROM "accord_cases" AS "cases"
  WHERE
    "cases"."year" BETWEEN 0 AND 3
), "groups" AS (
  SELECT
    "person",
    "cell",
    "known",
    "value",
    MIN("order_key") OVER (PARTITION BY "person", "cell") AS "least",
    ROW_NUMBER() OVER (PARTITION BY "person", "cell" ORDER BY "case_place") AS "turn"
  FROM "entries"
), "ranked" AS (
  SELECT
    "cell",
    "known",
    "value",
    "turn",
    DENSE_RANK() OVER (PARTITION BY "person" ORDER BY "least", "cell") AS "place"
  FROM "groups"
)
SELECT
  "cell",
  CASE WHEN "value" IS NULL THEN 2 ELSE 0 END AS "slot",
  SUM(
    CASE
      WHEN "place" <= 2 AND "turn" <= 2
      THEN CASE WHEN "value" IS NULL THEN 1 ELSE CAST("value" AS BIGINT) * 2 - 90 END
      ELSE 0
    END
  ) AS "added",
  SUM(
    CASE
      WHEN (
        "place" <= 2 AND "turn" <= 2
      ) AND NOT "value" IS NULL
      THEN 1
      ELSE 0
    END
  ) AS "other",
  SUM(CASE WHEN "turn" = 1 AND "place" = 1 THEN "known" ELSE 0 END) AS "persons",
  SUM(CASE WHEN "turn" = 1 AND (
    "place" > 2 AND "place" <= 3
  ) THEN 1 ELSE 0 END) AS "dropped"
FROM "ranked"
WHERE
  "place" <= 3
GROUP BY
  "cell",
  CASE WHEN "value" IS NULL THEN 2 ELSE 0 END
