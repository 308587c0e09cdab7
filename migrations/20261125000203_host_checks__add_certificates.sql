ALTER TABLE host_checks
  ADD COLUMN certificates VARBINARY(1000) NULL;
