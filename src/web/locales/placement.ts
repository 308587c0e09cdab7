// Why an instance goes to one host and not to another.
import { defineMessages } from './define.ts';

export const placement = defineMessages({
  'placement.score.memory': ['{{percent}} % of its memory would stay free', '剩餘 {{percent}} % 記憶體'],
  'placement.score.vcpus': ['{{percent}} % of its vCPUs would stay free', '剩餘 {{percent}} % 虛擬處理器'],
  'placement.score.cpu': ['its processors are {{percent}} % busy', '處理器負載 {{percent}} %'],
  'placement.score.cpu-unmeasured': ['its load was not measured yet', '尚未測量負載'],
  'placement.refused.disabled': ['takes no new machines (set by an administrator)', '管理員已停止此主機接受新的虛擬機器'],
  'placement.refused.down': ['does not answer', '主機沒有回應'],
  'placement.refused.no-pool': ['does not have the storage pool of the image', '沒有此映像檔的儲存池'],
  'placement.refused.disk': ['the pool {{pool}} has {{free}} GiB left', '儲存池 {{pool}} 剩餘 {{free}} GiB'],
  'placement.refused.vcpus': ['{{free}} vCPUs left', '剩餘 {{free}} 個虛擬處理器'],
  'placement.refused.memory': ['{{free}} of memory left', '剩餘 {{free}} 記憶體'],
});
