ALTER TABLE usage_periods
  ADD KEY user_id_instance_id_opened_at (user_id, instance_id, opened_at);
