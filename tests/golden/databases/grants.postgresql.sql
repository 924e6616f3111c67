-- For an administrator, in the database that is named here.
CREATE ROLE "reader" LOGIN;
ALTER ROLE "reader" SET default_transaction_read_only = on;
GRANT CONNECT ON DATABASE "office" TO "reader";
GRANT USAGE ON SCHEMA "intake" TO "reader";
GRANT SELECT ("number", "First Name", "a""b", "a`b", "a]b", "x; DROP TABLE y --", "%%s (d) :e") ON TABLE "intake"."case files" TO "reader";
-- Then, in psql, give it a password, and write that into password_file:
-- \password "reader"
