// The administrators' page about monitoring itself: how long values are kept and what that costs.
import { defineMessages } from './define.ts';

export const monitoring = defineMessages({
  'admin.nav.monitoring': ['Monitoring', '監控'],
  'monitoring.title': ['Monitoring', '監控'],
  'monitoring.explained': [
    'Every sample is kept for two hours; after that means, least and most: of each minute, then of each quarter of an hour. What is older goes by itself, so the room does not grow once the tiers are full.',
    '每次取樣保留兩小時；之後只保留平均、最小與最大值：先以每分鐘計，再以每 15 分鐘計。更早的資料會自動移除，因此各層存滿後所占空間不再增加。',
  ],
  'monitoring.room': ['Room in the database', '資料庫所占空間'],
  'monitoring.now': ['Measured values now', '目前的測量值'],
  'monitoring.full': ['When all tiers of the hosts ({{hosts}}) and machines ({{instances}}) of now are full', '目前的主機（{{hosts}} 台）與虛擬機器（{{instances}} 台）各層存滿時'],
  'monitoring.most': ['At most, whatever is measured', '無論測得何值的上限'],
  'monitoring.room-explained': [
    'With indexes, by what the database says of its tables, which may be some minutes old; of MySQL Cluster one copy, and each replica keeps one. More hosts and machines take more; time alone does not.',
    '含索引，依資料庫所回報的資料表大小計算，可能為數分鐘前的數值；MySQL Cluster 以一份副本計，每個副本各存一份。主機與虛擬機器增加時才會增加，不隨時間增加。',
  ],
  'monitoring.one.host': ['What one host costs', '每台主機所占空間'],
  'monitoring.one.instance': ['What one machine costs', '每台虛擬機器所占空間'],
  'monitoring.one-explained.host': ['Mean of the hosts that are measured longest. A row of the longer tiers is one metric’s hour or day, packed.', '以測量時間最久的主機平均計算。較長各層的一列為一項指標壓縮後的一小時或一天。'],
  'monitoring.one-explained.instance': [
    'Mean of the machines that are measured longest. One with several disks or network interfaces has a history of each and takes more.', '以測量時間最久的虛擬機器平均計算。具有多個磁碟或網路介面者各有紀錄，會占用較多空間。',
  ],
  'monitoring.tier': ['Tier', '層級'],
  'monitoring.tier.finest': ['Every sample, {{kept}} hours', '每次取樣，{{kept}} 小時'],
  'monitoring.tier.minutes': ['Minutes, {{kept}} days', '每分鐘，{{kept}} 天'],
  'monitoring.tier.quarters': ['Quarters of an hour, {{kept}} days', '每 15 分鐘，{{kept}} 天'],
  'monitoring.rows': ['Rows now / when full', '列數：目前 / 存滿'],
  'monitoring.filled': ['Filled', '已存比例'],
  'monitoring.bytes-now': ['Now', '目前'],
  'monitoring.bytes-full': ['When full', '存滿時'],
  'monitoring.bytes-most': ['At most', '上限'],
  'monitoring.all': ['All tiers', '全部'],

  'settings.monitoring.heading': ['How long values are kept', '測量值保留時間'],
  'settings.monitoring.explained': [
    'The two hours of single samples are fixed: thresholds, alerts and the tiers below are made of them. A shorter time takes effect within a day; a longer one fills as time passes.',
    '單次取樣固定保留兩小時，門檻、警示與以下各層皆由此產生。縮短的設定會在一天內生效；延長的設定則隨時間逐漸存滿。',
  ],
  'settings.monitoring.minuteDays': ['Minutes: days', '每分鐘資料：天數'],
  'settings.monitoring.minuteDays.hint': ['of charts up to this long every minute is seen', '此範圍內的圖表可看到每分鐘的變化'],
  'settings.monitoring.quarterDays': ['Quarters of an hour: days', '每 15 分鐘資料：天數'],
  'settings.monitoring.quarterDays.hint': ['the longest look back; most of the room', '可回顧的最長時間，占用空間最多'],
});
