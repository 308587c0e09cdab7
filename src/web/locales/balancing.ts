// Balancing of measured load: what is suggested and why, and what was done.
import { defineMessages } from './define.ts';

export const balancing = defineMessages({
  'balancing.why.cpu': [
    'The processors of {{from}} were above {{high}} % in each of the last {{samples}} samples ({{load}} % on average). Without this machine they would be at {{fromAfter}} %, and those of {{to}} at {{toAfter}} % instead of {{toBefore}} %.',
    '{{from}} 最近 {{samples}} 次取樣的處理器負載皆高於 {{high}} %（平均 {{load}} %）。移走此虛擬機器後將降至 {{fromAfter}} %，{{to}} 則由 {{toBefore}} % 升至 {{toAfter}} %。',
  ],
  'balancing.why.memory': [
    'The memory of {{from}} was above {{high}} % in use in each of the last {{samples}} samples ({{load}} % on average). Without this machine it would be at {{fromAfter}} %, and that of {{to}} at {{toAfter}} % instead of {{toBefore}} %.',
    '{{from}} 最近 {{samples}} 次取樣的記憶體使用率皆高於 {{high}} %（平均 {{load}} %）。移走此虛擬機器後將降至 {{fromAfter}} %，{{to}} 則由 {{toBefore}} % 升至 {{toAfter}} %。',
  ],
});
