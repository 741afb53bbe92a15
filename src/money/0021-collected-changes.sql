-- Nobody reads the changes of one account: each booking had to keep it up for nothing.
DROP INDEX collected_changes_account;
