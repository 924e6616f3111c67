WITH `entries` AS (
  SELECT
    `cases`.`person`,
    `cases`.`order_key`,
    `cases`.`person_known` AS `known`,
    CAST(`cases`.`year` AS INT) AS `cell`
  FROM `accord_cases` AS `cases`
  WHERE
    `cases`.`year` BETWEEN 0 AND 3 AND (
      `cases`.`means__0` & 7
    ) <> 0
), `groups` AS (
  SELECT
    `person`,
    `cell`,
    MIN(`order_key`) AS `least`,
    MAX(`known`) AS `known`,
    COUNT(*) AS `counted`
  FROM `entries`
  GROUP BY
    `person`,
    `cell`
), `ranked` AS (
  SELECT
    `cell`,
    ROW_NUMBER() OVER (PARTITION BY `person` ORDER BY `least`, `cell`) AS `place`,
    `known`,
    `counted`
  FROM `groups`
)
SELECT
  `cell`,
  0 AS `slot`,
  SUM(
    CASE
      WHEN `place` <= 2
      THEN CASE WHEN `counted` > 2 THEN 2 ELSE CAST(`counted` AS INT) END
      ELSE 0
    END
  ) AS `added`,
  SUM(0) AS `other`,
  SUM(CASE WHEN `place` = 1 THEN `known` ELSE 0 END) AS `persons`,
  SUM(CASE WHEN `place` > 2 AND `place` <= 3 THEN 1 ELSE 0 END) AS `dropped`
FROM `ranked`
WHERE
  `place` <= 3
GROUP BY
  `cell`
