ALTER TABLE moves
  ADD COLUMN from_pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN to_pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL;
