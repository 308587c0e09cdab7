CREATE TABLE IF NOT EXISTS contact_messages (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  name VARCHAR(80) NOT NULL,
  email VARCHAR(254) NOT NULL,
  subject VARCHAR(200) NOT NULL,
  body VARBINARY(12000) NOT NULL,
  mailed_at BIGINT NULL,
  mail_error VARCHAR(250) NULL,
  read_at BIGINT NULL,
  answer VARBINARY(8000) NULL,
  answered_at BIGINT NULL,
  answered_by CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  answer_mailed_at BIGINT NULL,
  answer_mail_error VARCHAR(250) NULL,
  PRIMARY KEY (id),
  KEY at (at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
