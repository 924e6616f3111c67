-- For an administrator. In the place of % name the agent's machine, if you
-- can; choose a password, and write it into password_file.
CREATE USER 'o''brien'@'%' IDENTIFIED BY 'CHOOSE-A-PASSWORD' REQUIRE SSL;
GRANT SELECT (`number`, `First Name`, `a"b`, `a``b`, `a]b`, `x; DROP TABLE y --`, `%%s (d) :e`) ON `intake`.`case files` TO 'o''brien'@'%';
