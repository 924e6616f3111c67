-- For an administrator. Choose a password, and write it into password_file.
CREATE LOGIN [reader] WITH PASSWORD = 'CHOOSE-A-PASSWORD';
USE [office];
CREATE USER [reader] FOR LOGIN [reader];
GRANT SELECT ON OBJECT::[intake].[case files] ([number], [First Name], [a"b], [a`b], [a]]b], [x; DROP TABLE y --], [%s (d) :e]) TO [reader];
