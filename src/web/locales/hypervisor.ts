// What can go wrong with a host. `reason` is libvirt's or the system's own text, in English; only admins read it.
import { defineMessages } from './define.ts';

export const hypervisor = defineMessages({
  'hypervisor.reason-for-admins': ['an administrator can see why', '詳細原因請洽管理員'],
  'hypervisor.unavailable': ['Host {{host}} does not answer: {{reason}}', '主機 {{host}} 沒有回應：{{reason}}'],
  'hypervisor.unknown-host': ['There is no such host.', '沒有這台主機。'],
  'hypervisor.exists': ['Host {{host}} has something of this name or identity already: {{reason}}', '主機 {{host}} 上已有相同名稱或識別碼的物件：{{reason}}'],
  'hypervisor.not-found': ['Host {{host}} does not have it (any more): {{reason}}', '主機 {{host}} 上找不到（或已不存在）：{{reason}}'],
  'hypervisor.not-now': ['Host {{host}} cannot do this in the present state: {{reason}}', '主機 {{host}} 在目前狀態下無法執行：{{reason}}'],
  'hypervisor.refused': ['Host {{host}} refused what was asked: {{reason}}', '主機 {{host}} 拒絕了這項要求：{{reason}}'],
  'hypervisor.unsupported': ['Host {{host}} cannot do this: {{reason}}', '主機 {{host}} 不支援這項功能：{{reason}}'],
  'hypervisor.access-denied': ['Host {{host}} does not let the portal in: {{reason}}', '主機 {{host}} 不允許入口網站存取：{{reason}}'],
  'hypervisor.too-slow': ['Host {{host}} took too long: {{reason}}', '主機 {{host}} 逾時：{{reason}}'],
  'hypervisor.failed': ['Host {{host}} failed: {{reason}}', '主機 {{host}} 發生錯誤：{{reason}}'],
  'hypervisor.invalid-uri': ['This is not an address that can be used: {{reason}}', '無法使用這個位址：{{reason}}'],
});
