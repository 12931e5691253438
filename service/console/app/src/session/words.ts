import { catalogue } from "../language/catalogue";

export const words = catalogue(
  {
    title: "Sign in",
    ended: "The session has ended. Sign in again to go on where you were.",
    key: "API key",
    where: "It is sent in a header alone, and never part of an address.",
    exchange: "Exchange the key for a session token",
    exchangeNote: "The page forgets the key at once. The token ends after an hour, and manages no keys. A role that makes no tokens stays signed in by its key.",
    keep: "Keep me signed in until this tab is closed",
    keepNote: "Otherwise a reload signs you out: nothing is stored.",
    signIn: "Sign in",
  },
  {
    title: "登录",
    ended: "会话已结束。重新登录后可从原处继续。",
    key: "API 密钥",
    where: "密钥只通过请求头发送，绝不会出现在地址中。",
    exchange: "用密钥换取会话令牌",
    exchangeNote: "页面会立即忘记密钥。令牌一小时后失效，且不能管理密钥。不能生成令牌的角色仍以密钥登录。",
    keep: "关闭此标签页前保持登录",
    keepNote: "否则刷新页面即退出：不会存储任何内容。",
    signIn: "登录",
  },
);
