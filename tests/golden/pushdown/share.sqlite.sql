WITH "entries" AS (
  SELECT
    "cases"."person",
    "cases"."order_key",
    "cases"."person_known" AS "known",
    CAST("cases"."year" AS INTEGER) AS "cell",
    "shown"."column1" AS "value",
    CASE WHEN (
      "cases"."means__0" & 127
    ) <> 0 THEN 1 ELSE 0 END AS "told"
  FROM "accord_cases" AS "cases"
  LEFT JOIN (VALUES
    (0, 7),
    (1, 24),
    (2, 96)) AS "shown"
    ON (
      "cases"."means__0" & "shown"."column2"
    ) <> 0
  WHERE
    "cases"."year" BETWEEN 0 AND 3
), "pairs" AS (
  SELECT
    "person",
    "cell",
    "value",
    MAX("known") AS "known",
    MAX("told") AS "says",
    MIN("order_key") AS "earliest"
  FROM "entries"
  GROUP BY
    "person",
    "cell",
    "value"
), "groups" AS (
  SELECT
    "person",
    "cell",
    "value",
    "known",
    MAX("says") OVER (PARTITION BY "person", "cell") AS "told",
    MIN("earliest") OVER (PARTITION BY "person", "cell") AS "least",
    ROW_NUMBER() OVER (
      PARTITION BY "person", "cell"
      ORDER BY CASE WHEN "value" IS NULL THEN 1 ELSE 0 END, "earliest", "value"
    ) AS "turn",
    COUNT("value") OVER (PARTITION BY "person", "cell") AS "counted"
  FROM "pairs"
), "ranked" AS (
  SELECT
    "cell",
    "value",
    "known",
    "told",
    "turn",
    "counted",
    DENSE_RANK() OVER (PARTITION BY "person" ORDER BY "least", "cell") AS "place"
  FROM "groups"
)
SELECT
  "cell",
  CASE WHEN "value" IS NULL THEN 4 ELSE "value" + 1 END AS "slot",
  SUM(
    CASE
      WHEN "place" <= 2
      AND (
        (
          "value" IS NULL AND (
            "turn" = 1 AND "told" = 0
          )
        )
        OR (
          NOT "value" IS NULL AND "turn" <= 3
        )
      )
      THEN 1
      ELSE 0
    END
  ) AS "added",
  SUM(CASE WHEN "place" <= 2 AND "turn" = 1 AND "told" = 1 THEN 1 ELSE 0 END) AS "other",
  SUM(CASE WHEN "turn" = 1 AND "place" = 1 THEN "known" ELSE 0 END) AS "persons",
  SUM(CASE WHEN "turn" = 1 AND (
    "place" > 2 AND "place" <= 3
  ) THEN 1 ELSE 0 END) AS "dropped"
FROM "ranked"
WHERE
  "place" <= 3
GROUP BY
  "cell",
  CASE WHEN "value" IS NULL THEN 4 ELSE "value" + 1 END
