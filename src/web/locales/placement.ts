// Why an instance goes to one host and not to another, and the settings that decide it.
import { defineMessages } from './define.ts';

export const placement = defineMessages({
  'placement.score.memory': ['{{percent}} % of its memory would stay free', '剩餘 {{percent}} % 記憶體'],
  'placement.score.vcpus': ['{{percent}} % of its vCPUs would stay free', '剩餘 {{percent}} % 虛擬處理器'],
  'placement.score.cpu': ['its processors are {{percent}} % busy', '處理器負載 {{percent}} %'],
  'placement.score.cpu-unmeasured': ['its load was not measured yet', '尚未測量負載'],
  'placement.score.memory-used': ['{{percent}} % of its memory is in use now', '記憶體目前使用 {{percent}} %'],
  'placement.refused.disabled': ['takes no new machines (set by an administrator)', '管理員已停止此主機接受新的虛擬機器'],
  'placement.refused.maintenance': ['is in maintenance', '維護中'],
  'placement.refused.fenced': ['was switched off and has not checked in yet', '已被隔離，尚未重新報到'],
  'placement.refused.down': ['does not answer', '主機沒有回應'],
  'placement.refused.here': ['the machine is there now', '虛擬機器目前所在的主機'],
  'placement.refused.no-pool': ['does not have the storage pool of its disk', '沒有存放其硬碟的儲存池'],
  'placement.refused.no-pool-named': ['has no storage pool of the same name for its disk', '沒有同名的儲存池可存放其硬碟'],
  'placement.refused.disk': ['the pool {{pool}} has {{free}} GiB left', '儲存池 {{pool}} 剩餘 {{free}} GiB'],
  'placement.refused.vcpus': ['{{free}} vCPUs left', '剩餘 {{free}} 個虛擬處理器'],
  'placement.refused.memory': ['{{free}} of memory left', '剩餘 {{free}} 記憶體'],
  'placement.refused.arch': ['has processors of another architecture ({{arch}})', '處理器架構不同（{{arch}}）'],
  'placement.refused.no-kvm': ['has no KVM, which the machine runs by', '沒有 KVM，無法執行此虛擬機器'],
  'placement.refused.cpu-model': ['has another CPU model ({{model}}), which a running machine would notice', 'CPU 型號不同（{{model}}），執行中的虛擬機器無法移入'],
  'placement.refused.cpu-busy': ['its processors are {{percent}} % busy (limit {{max}} %)', '處理器負載 {{percent}} %（上限 {{max}} %）'],
  'placement.refused.memory-busy': ['{{percent}} % of its memory is in use (limit {{max}} %)', '記憶體使用 {{percent}} %（上限 {{max}} %）'],
  'placement.refused.anti-affinity': ['has another machine of the same group, which are kept apart', '已有同一分散群組的虛擬機器'],
});
