// The top page.
import { defineMessages } from './define.ts';

export const home = defineMessages({
  'home.title': ['Home', '首頁'],
  'home.headline': ['Your own virtual machine, in two minutes', '兩分鐘，擁有您自己的虛擬機器'],
  'home.lead': [
    'Choose a size, press a button, and open its screen in your browser or in any VNC viewer. You need to know nothing of virtualization.',
    '選擇規格、按下按鈕，就能在瀏覽器或任何 VNC 檢視器中開啟它的畫面。不需要懂虛擬化。',
  ],
  'home.step-1': ['Choose', '選擇'],
  'home.step-1-text': ['A name, an image, processors, memory and disk. The price and what is free stand beside it.', '名稱、映像檔、處理器、記憶體與硬碟。價格與剩餘資源就在旁邊。'],
  'home.step-2': ['Create', '建立'],
  'home.step-2-text': ['Watch it being made, step by step. It takes seconds.', '看著它一步步建立完成，只需幾秒。'],
  'home.step-3': ['Use', '使用'],
  'home.step-3-text': ['Open its screen at IP:port, see how busy it is, switch it off when you are done.', '以 IP:連接埠開啟畫面、查看負載，用完即可關機。'],
  'home.glance': ['The cluster now', '叢集現況'],
  'home.hosts': ['Hosts answering', '有回應的主機'],
  'home.of': ['{{count}} of {{total}}', '{{count}} / {{total}}'],
  'home.instances': ['Machines running', '執行中的虛擬機器'],
  'home.remaining-vcpus': ['Cores left', '核心殘存'],
  'home.remaining-memory': ['Memory left', '記憶體殘存'],
  'home.remaining-disk': ['Disk left', '硬碟空間殘存'],
  'home.gate-open': ['New machines can be created now.', '目前可以建立新的虛擬機器。'],
  'home.gate-closed': ['The cluster is busy: new machines must wait.', '叢集忙碌中：暫時無法建立新的虛擬機器。'],
  'home.full': ['There is no room at the moment: new machines must wait.', '目前沒有剩餘空間：暫時無法建立新的虛擬機器。'],
  'home.no-hosts': ['No host has been added yet. An administrator adds the first one under Administration.', '尚未加入任何主機。管理員可在「管理員設定」加入第一台。'],
  'home.your-machines': ['Your machines', '您的虛擬機器'],
  'home.no-machines': ['You have no machine yet.', '您還沒有虛擬機器。'],
  'home.all-machines': ['All of them, with their load', '查看全部與負載'],
  'home.welcome': ['Welcome, {{name}}', '{{name}}，您好'],
});
