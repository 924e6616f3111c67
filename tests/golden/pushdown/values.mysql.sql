WITH `entries` AS (
  SELECT
    `cases`.`person`,
    `cases`.`order_key`,
    `cases`.`person_known` AS `known`,
    `axis0`.`column1` AS `cell`,
    CASE
      WHEN `cases`.`gender` BETWEEN 0 AND 1
      THEN CAST(`cases`.`gender` AS SIGNED)
    END AS `value`,
    CASE WHEN `cases`.`gender` BETWEEN 0 AND 2 THEN 1 ELSE 0 END AS `told`
  FROM `accord_cases` AS `cases`
  JOIN (
    SELECT
      0 AS `column1`,
      1 AS `column2`
    UNION ALL
    SELECT
      1 AS `column1`,
      2 AS `column2`
    UNION ALL
    SELECT
      2 AS `column1`,
      4 AS `column2`
    UNION ALL
    SELECT
      3 AS `column1`,
      8 AS `column2`
    UNION ALL
    SELECT
      4 AS `column1`,
      16 AS `column2`
    UNION ALL
    SELECT
      5 AS `column1`,
      32 AS `column2`
    UNION ALL
    SELECT
      6 AS `column1`,
      64 AS `column2`
  ) AS `axis0`
    ON (
      `cases`.`work__0` & `axis0`.`column2`
    ) <> 0
), `pairs` AS (
  SELECT
    `person`,
    `cell`,
    `value`,
    MAX(`known`) AS `known`,
    MAX(`told`) AS `says`,
    MIN(`order_key`) AS `earliest`
  FROM `entries`
  GROUP BY
    `person`,
    `cell`,
    `value`
), `groups` AS (
  SELECT
    `person`,
    `cell`,
    `value`,
    `known`,
    MAX(`says`) OVER (PARTITION BY `person`, `cell`) AS `told`,
    MIN(`earliest`) OVER (PARTITION BY `person`, `cell`) AS `least`,
    ROW_NUMBER() OVER (
      PARTITION BY `person`, `cell`
      ORDER BY CASE WHEN `value` IS NULL THEN 1 ELSE 0 END, `earliest`, `value`
    ) AS `turn`,
    COUNT(`value`) OVER (PARTITION BY `person`, `cell`) AS `counted`
  FROM `pairs`
), `ranked` AS (
  SELECT
    `cell`,
    `value`,
    `known`,
    `told`,
    `turn`,
    `counted`,
    DENSE_RANK() OVER (PARTITION BY `person` ORDER BY `least`, `cell`) AS `place`
  FROM `groups`
)
SELECT
  `cell`,
  CASE
    WHEN `told` = 1
    THEN CASE WHEN `counted` > 1 THEN 1 ELSE CAST(`counted` AS SIGNED) END
    ELSE 2
  END AS `slot`,
  SUM(CASE WHEN `place` <= 2 AND `turn` = 1 THEN 1 ELSE 0 END) AS `added`,
  SUM(0) AS `other`,
  SUM(CASE WHEN `turn` = 1 AND `place` = 1 THEN `known` ELSE 0 END) AS `persons`,
  SUM(CASE WHEN `turn` = 1 AND (
    `place` > 2 AND `place` <= 3
  ) THEN 1 ELSE 0 END) AS `dropped`
FROM `ranked`
WHERE
  `place` <= 3
GROUP BY
  `cell`,
  CASE
    WHEN `told` = 1
    THEN CASE WHEN `counted` > 1 THEN 1 ELSE CAST(`counted` AS SIGNED) END
    ELSE 2
  END
