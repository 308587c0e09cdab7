ALTER TABLE audit
  ADD KEY user_name_at (user_name, at);
