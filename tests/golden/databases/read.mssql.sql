SELECT [number], [First Name], [a"b], [a`b], [a]]b], [x; DROP TABLE y --], [%s (d) :e] 
FROM [intake].[case files];

SELECT [number] 
FROM [intake].[case files] 
WHERE [number] IN (__[POSTCOMPILE_values_1]) OR [number] IS NULL;

SELECT [number] 
FROM [intake].[case files] 
WHERE [number] = :value_1 AND [a`b %s] = :value_2 OR [number] IS NULL AND ([a`b %s] IS NULL OR [a`b %s] = :value_3);
