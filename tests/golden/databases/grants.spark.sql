-- For an administrator of the cluster's catalogue, as Unity Catalog reads
-- it. Spark itself knows no rights: whom its token lets in may do all. In
-- Ranger allow the same on its page. Whoever makes a table may rename and
-- drop it; an agent whose editions are made by others needs only to read.
CREATE SCHEMA IF NOT EXISTS `lake`.`accord`;
GRANT USE CATALOG ON CATALOG `lake` TO `o``hara`;
GRANT USE SCHEMA, SELECT ON SCHEMA `lake`.`accord` TO `o``hara`;
GRANT CREATE TABLE, MODIFY ON SCHEMA `lake`.`accord` TO `o``hara`;
-- For an administrator of the cluster's catalogue, as Unity Catalog reads
-- it. Spark itself knows no rights: whom its token lets in may do all. In
-- Ranger allow the same on its page. Whoever makes a table may rename and
-- drop it; an agent whose editions are made by others needs only to read.
CREATE SCHEMA IF NOT EXISTS `default`;
GRANT USE SCHEMA, SELECT ON SCHEMA `default` TO `accord_agent`;
GRANT CREATE TABLE, MODIFY ON SCHEMA `default` TO `accord_agent`;
