SELECT `number`, `First Name`, `a"b`, `a``b`, `a]b`, `x; DROP TABLE y --`, `%%s (d) :e` 
FROM `intake`.`case files`;

SELECT `number` 
FROM `intake`.`case files` 
WHERE `number` IN (__[POSTCOMPILE_values_1]) OR `number` IS NULL;

SELECT `number` 
FROM `intake`.`case files` 
WHERE `number` = %s AND `a``b %%s` = %s OR `number` IS NULL AND (`a``b %%s` IS NULL OR `a``b %%s` = %s);
