// The history of a host, for administrators.
import { defineMessages } from './define.ts';

export const hostEvents = defineMessages({
  'hosts.event.lost': ['The host does not answer.', '主機沒有回應。'],
  'hosts.event.found-seconds': ['The host answers again, after {{count}} s.', '主機恢復回應，中斷 {{count}} 秒。'],
  'hosts.event.found-minutes': ['The host answers again, after {{count}} minutes.', '主機恢復回應，中斷 {{count}} 分鐘。'],
  'hosts.event.found-hours': ['The host answers again, after {{count}} hours.', '主機恢復回應，中斷 {{count}} 小時。'],
  'hosts.event.enabled': ['Enabled: it takes new machines.', '已啟用：接受新的虛擬機器。'],
  'hosts.event.disabled': ['Disabled: it takes no new machines.', '已停用：不接受新的虛擬機器。'],
  'hosts.event.checked-in': ['Checked in: nothing was found there that lives elsewhere. It is used again.', '已重新報到：未發現屬於其他主機的虛擬機器，恢復使用。'],
  'hosts.event.checked-in-cleaned': ['Checked in: machines that live elsewhere or are gone were powered off and removed ({{total}}): {{names}}. It is used again.', '已重新報到：已關閉並移除屬於其他主機或已不存在的虛擬機器（{{total}} 台）：{{names}}。恢復使用。'],
  'hosts.event.check-in-failed': ['It answers, but could not check in; it stays fenced.', '主機有回應，但無法完成報到，維持隔離。'],
  'hosts.event.check-in-reason': ['{{reason}}', '{{reason}}'],
  'operations.diary.second-copy-off': ['A second copy of this machine was found running on host {{host}} and was powered off there.', '發現此虛擬機器在主機 {{host}} 上另有一份執行中，已將該份關閉。'],
  'hosts.event.stray-off': ['A second copy of machine {{name}} ran here, while it lives and runs on host {{host}}. It was powered off here.', '虛擬機器 {{name}} 在主機 {{host}} 上執行，卻在此另有一份執行中，已將此處的關閉。'],
});
